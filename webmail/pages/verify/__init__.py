# SPDX-License-Identifier: AGPL-3.0-or-later
"""The public look-up: is this document genuine and in force?"""
