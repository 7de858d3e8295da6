# SPDX-License-Identifier: AGPL-3.0-or-later
"""Official documents: lists, one document, issuing."""
