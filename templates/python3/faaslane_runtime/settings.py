"""What the environment decides, checked once at the start."""

UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}
DURATION_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


class Settings:
    __slots__ = ("port", "max_body_bytes", "drain_seconds", "hostname", "secrets_dir", "raw_body")


def read_settings(env):
    """Raises SystemExit with one line that names the bad variable."""
    settings = Settings()
    settings.port = parse_port(env.get("http_port", "5000"))
    settings.max_body_bytes = parse_size("MAX_BODY_SIZE", env.get("MAX_BODY_SIZE") or "128mb")
    settings.drain_seconds = parse_seconds(env.get("write_timeout"), 30)
    settings.hostname = env.get("HOSTNAME", "localhost")
    settings.secrets_dir = env.get("FAASLANE_SECRETS_DIR") or "/var/openfaas/secrets"
    settings.raw_body = env.get("RAW_BODY", "").lower() in ("1", "true")
    return settings


def parse_port(text):
    if text.isdigit() and int(text) <= 65535:
        return int(text)
    raise SystemExit('http_port: "%s" is not a port' % text)


def parse_size(name, text):
    number = text.strip().lower().rstrip("bkmg ")
    unit = text.strip().lower()[len(number) :].strip()
    try:
        return int(float(number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise SystemExit('%s: "%s" is not a size such as 100kb, 1.5mb or 2048' % (name, text)) from None


def parse_seconds(text, default):
    """A Go duration such as 1m30s, or bare seconds; anything else is the default, as the watchdog has it."""
    total, number, unit = 0.0, "", ""
    # The closing digit ends the last unit.
    for char in (text or "") + "0":
        if char.isdigit() or char == ".":
            if unit:
                if unit not in DURATION_UNITS or not is_number(number):
                    return default
                total, number, unit = total + float(number) * DURATION_UNITS[unit], "", ""
            number += char
        else:
            unit += char
    rest = number[:-1]
    if total == 0 and is_number(rest):
        return float(rest)
    return total if rest == "" and text else default


def is_number(text):
    return text.replace(".", "", 1).isdigit()
