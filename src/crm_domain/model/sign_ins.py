"""Who is signed in, from where, and how somebody gets a new password without the old one."""

from __future__ import annotations

from datetime import datetime

from crm_domain.model.fields import key, moment, number, record, reference, text


@record("sign_in", "登录", "Sign-in", plain=False)
class SignIn:
    """One session of one account on one device, kept for a while after its end."""

    id: int | None = key(default=None)
    user_id: int = reference("用户", "User", "User")
    token_sha256: str = text("令牌指纹", "Fingerprint of the token", length=64, unique=True,
                             guarded=True, secret=True)  # fmt: skip
    """The token itself is nowhere but in the browser that it was given to."""
    created_at: datetime = moment("登录时间", "Signed in", guarded=True)
    seen_at: datetime = moment("最近活动", "Last seen", guarded=True)
    """Written once a minute at most."""
    expires_at: datetime = moment("到期时间", "Expires", guarded=True)
    """When it ends whatever happens; without activity it ends earlier."""
    address: str | None = text("网络地址", "Address", length=60, default=None, guarded=True)
    network: str | None = text("网段", "Network", length=60, default=None, guarded=True)
    """What counts as one place: the address, or the /64 of an IPv6 address."""
    device: str | None = text("设备", "Device", length=200, default=None, guarded=True)
    ended_at: datetime | None = moment("退出时间", "Ended", default=None, guarded=True)
    acting_id: int | None = reference("实际操作人", "Really", "User", default=None)
    """Who acts in it where that is another than whose account it is of."""
    own_id: int | None = number("本人的登录", "Own session", default=None, guarded=True)
    """The session of whoever acts, from which this one was begun; it ends with it."""


@record("reset_link", "密码重置链接", "Reset link", plain=False)
class ResetLink:
    """The one-time link by which a password of an account is chosen; a new one voids the old."""

    id: int | None = key(default=None)
    user_id: int = reference("用户", "User", "User", unique=True)
    token_sha256: str = text("令牌指纹", "Fingerprint of the token", length=64, unique=True,
                             guarded=True, secret=True)  # fmt: skip
    by_id: int | None = reference("签发人", "Issued by", "User", default=None)
    created_at: datetime = moment("签发时间", "Issued", guarded=True)
    expires_at: datetime = moment("到期时间", "Expires", guarded=True)
    used_at: datetime | None = moment("使用时间", "Used", default=None, guarded=True)
