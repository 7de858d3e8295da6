# SPDX-License-Identifier: AGPL-3.0-or-later
"""Mail comes in: MX and submission on aiosmtpd's session, with our own reading, EHLO and DATA (DESIGN 4.6)."""
