# SPDX-License-Identifier: AGPL-3.0-or-later
"""The PDF of an official document: draft, preparation, marks, number, validation data, signatures."""
