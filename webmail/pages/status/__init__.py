# SPDX-License-Identifier: AGPL-3.0-or-later
"""What our authority says of its certificates, for programs: OCSP, lists, its own certificates."""
