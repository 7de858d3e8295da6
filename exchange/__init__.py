# SPDX-License-Identifier: AGPL-3.0-or-later
"""Official documents: drafting, signing, numbering, sealing, exchange, receipts."""

from exchange.asn1_lengths import mend

mend()
