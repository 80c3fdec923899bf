"""Accounts files as people write them: of two accounts with everything set, and of as many as one likes."""

from pathlib import Path

ACME_KEY, BETA_KEY, BETA_V1_KEY = "aCmE/Canary+Key0001==", "bEtA/Canary+Key0002==", "bEtA/Canary+Key0003=="
MOBILE = "9810000457"

FULL = """\
# Two sellers.
[accounts.acme]
key_env = "ACME_CRM_KEY"
api_url = "http://127.0.0.1:9/acme/"
start = 2026-04-01
daily_at = "01:05"
intraday_minutes = 60
lookback_days = 3
schedules_on = true
alert_urls_env = "ACME_ALERT_URLS"
lead_source = "IndiaMART Acme"
default_country = "AE"
call_interval_seconds = 2.5
block_seconds = 7
timeout_seconds = 5

[accounts.beta]
key_file = "secrets/beta.key"

[accounts.beta.v1]
key_env = "BETA_V1_KEY"
mobile_env = "BETA_MOBILE"
"""


def write_private(path: Path, text: str) -> Path:
    """Write a file that its owner alone may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def write_full(root: Path) -> Path:
    """Write `accounts.toml` with both accounts into the folder, and their keys into `.env` and a file of its own."""
    variables = {
        "ACME_CRM_KEY": ACME_KEY,
        "ACME_ALERT_URLS": "critical=json://127.0.0.1:9/acme",
        "BETA_V1_KEY": BETA_V1_KEY,
        "BETA_MOBILE": f"+91-{MOBILE}",
    }
    write_private(root / ".env", "".join(f"{name}={value}\n" for name, value in variables.items()))
    write_private(root / "secrets" / "beta.key", f"{BETA_KEY}\n")
    path = root / "accounts.toml"
    path.write_text(FULL)
    return path


def write_many(root: Path, count: int, api_url: str = "http://127.0.0.1:9/crm/") -> list[str]:
    """Write `accounts.toml` with so many accounts into the folder, and their keys into `.env`; return their names."""
    names = [f"seller_{number:02}" for number in range(1, count + 1)]
    tables = [f'[accounts.{name}]\nkey_env = "{name.upper()}_KEY"\napi_url = "{api_url}"\n' for name in names]
    (root / "accounts.toml").write_text("\n".join(tables))
    write_private(root / ".env", "".join(f"{name.upper()}_KEY=Canary/{name}+Key==\n" for name in names))
    return names
