# SPDX-License-Identifier: AGPL-3.0-or-later
"""The pages: mail, and the frame every other page stands in.

How a page is added (all of it is used by `pages/mail`, read that as the example):

1. `pages/<noun>/views.py` makes a Flask `Blueprint` and `app.create_app` registers it. `queries.py` reads,
   `forms.py` turns form fields into values or raises `config.refusal.Refused`. Views stay thin.
2. Every address needs a signed-in person and every POST a CSRF token, without the view doing anything;
   `@frame.open_to_all` lifts the first, nothing lifts the second.
3. In a view: `frame.account()` is who signed in, `frame.parts()` the installation, `frame.wait(coroutine)` runs
   an async store or delivery method on the server's loop, `frame.page("noun/x.html", place="noun.x", …)` renders.
   A refusal is raised, never rendered: `errors.py` is the one place that turns `Refused` into a page.
4. Words live in `catalogue.toml` only (`section.name = ["vi", "en"]`): `t("mail.unread-count", n=3)` in templates and,
   as `language.t`, in views. A test refuses letters anywhere else.
5. Templates extend `layout.html` (blocks `title`, `main`, `main_class`) and take their components from
   `parts.html`: `icon`, `button`, `link_button`, `avatar`, `badge`, `verdict`, `note`, `rule_note`, `empty`, `field`,
   `hidden_token`. Class names are those of the design; a style attribute or inline script is refused by the CSP.
6. A first-level place in the navigation: `navigation.add(order, maker)`, the maker gets the account.
7. A toast with undo after a redirect: `toast.leave("mail.moved", n=2, undo=…)`.
8. Who may do what: `rights.py` only.
9. Live events: `live/events.py`; pages listen through `static/app.js`.

Dates, sizes and numbers are shown by the filters of `shown.py` (`day`, `clock`, `moment`, `size`, `number`).
"""
