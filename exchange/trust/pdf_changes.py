# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which updates after a signature count as allowed: pyHanko's rules, without appearances changed in place.

pyHanko's default lets the appearance stream of a form field be overwritten in place, and, as it names that
update whether it happened or not, holds a filled and locked text field against everything that follows: the
second seal of a joint document, the time-stamp of an archive copy. Ours is stricter on the first and right
on the second.
"""

from __future__ import annotations

from typing import Any

from pyhanko.sign.diff_analysis import (
    CatalogModificationRule,
    DocInfoRule,
    DSSCompareRule,
    FormUpdatingRule,
    GenericFieldModificationRule,
    MetadataUpdateRule,
    ModificationLevel,
    ObjectStreamRule,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
    XrefStreamRule,
)

_catalog: Any = CatalogModificationRule
_creation: Any = SigFieldCreationRule

POLICY = StandardDiffPolicy(
    global_rules=[
        _catalog(),
        *(
            rule().as_qualified(ModificationLevel.LTA_UPDATES)
            for rule in (DocInfoRule, XrefStreamRule, ObjectStreamRule, DSSCompareRule, MetadataUpdateRule)
        ),
    ],
    form_rule=FormUpdatingRule(
        field_rules=[
            _creation(),
            SigFieldModificationRule(allow_in_place_appearance_stream_changes=False),
            GenericFieldModificationRule(allow_in_place_appearance_stream_changes=False),
        ]
    ),
)
