# SPDX-License-Identifier: AGPL-3.0-or-later
"""The edXML packet of QCVN 102:2016/BTTTT: model, reading, writing, statuses, checks."""
