# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who sent a message: SPF, DKIM, DMARC, Authentication-Results; how it may leave: DKIM signatures, MTA-STS."""
