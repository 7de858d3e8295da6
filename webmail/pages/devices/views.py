# SPDX-License-Identifier: AGPL-3.0-or-later
"""The page of devices under "Tôi"."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from config.refusal import Refused
from mailserver.accounts import certificates, devices
from webmail import frame, toast
from webmail.errors import status_of
from webmail.frame import page
from webmail.language import current
from webmail.pages.setup import apple, code, servers

blueprint = Blueprint("devices", __name__)


@blueprint.get("/me/devices")
def show() -> AnyResponse:
    """What may sign in, and a field to add one."""
    return _list()


@blueprint.post("/me/devices")
def add() -> AnyResponse:
    """A new device: its password and QR code are shown now and never again."""
    parts, who = frame.parts(), frame.account()
    label = request.form.get("label", "")
    try:
        made, password = parts.database.write(
            lambda conn: devices.add(conn, parts.seal, who, label, who.address)
        )
    except Refused as refusal:
        if status_of(refusal) != 400:
            raise
        return _list(label, refusal.text(current()), 400)
    where = servers.of(parts.settings)
    return page(
        "devices/added.html",
        place="me",
        device=made,
        password=password,
        servers=where,
        code=code.drawing(code.payload(where, who, password)),
    )


@blueprint.post("/me/devices/certificate")
def certify() -> AnyResponse:
    """A new device that signs in by the certificate in the file: no password, nothing to show."""
    parts, who = frame.parts(), frame.account()
    label, given = request.form.get("cert-label", ""), request.files.get("certificate")
    content = given.stream.read(certificates.LARGEST + 1) if given else b""
    try:
        parts.database.write(
            lambda conn: devices.add_certificate(conn, parts.seal, who, label, content, who.address)
        )
    except Refused as refusal:
        if status_of(refusal) != 400:
            raise
        return _list(certify=label, certify_error=refusal.text(current()), status=400)
    toast.leave("devices.certified")
    return redirect(url_for("devices.show"))


@blueprint.post("/me/devices/profile")
def profile() -> Response:
    """The Apple profile of a device that was just added; the form brings its password back."""
    parts, who = frame.parts(), frame.account()
    password = request.form.get("password", "")[:100]
    parts.accounts.authenticate("imap", who.address, password, request.remote_addr or "")
    content = apple.profile(servers.of(parts.settings), who, password)
    headers = {"Content-Disposition": 'attachment; filename="congvan.mobileconfig"'}
    return Response(content, mimetype=apple.MIME, headers=headers)


@blueprint.post("/me/devices/<int:number>/revoke")
def revoke(number: int) -> AnyResponse:
    """Take a device's password back."""
    parts, who = frame.parts(), frame.account()
    parts.database.write(lambda conn: devices.revoke(conn, parts.seal, who, number, who.address))
    toast.leave("devices.revoked")
    return redirect(url_for("devices.show"))


def _list(
    label: str = "", error: str = "", status: int = 200, *, certify: str = "", certify_error: str = ""
) -> Response:
    parts = frame.parts()
    with parts.database.reading() as conn:
        found = devices.listed(conn, parts.seal, frame.account().ref)
    return page(
        "devices/list.html",
        place="me",
        status=status,
        devices=found,
        servers=servers.of(parts.settings),
        label=label,
        error=error,
        certify=certify,
        certify_error=certify_error,
    )
