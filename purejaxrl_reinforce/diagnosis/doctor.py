"""The doctor: facts, settings, known faults and comparisons, each with advice."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from purejaxrl_reinforce.diagnosis.checks import Finding, findings
from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.execution.jax_settings import enable_compilation_cache
from purejaxrl_reinforce.execution.kept import from_cache
from purejaxrl_reinforce.execution.known_faults import known_faults
from purejaxrl_reinforce.tasks import grouped


class Line(NamedTuple):
    """A line of the doctor's table.

    Attributes:
        subject: of the line.
        verdict: "right", "wrong" where results of this package would be, "note" where something
            deserves attention, or "fact".
        detail: sizes and differences, or the fact.
        advice: what to do; empty if nothing.
    """

    subject: str
    verdict: Literal["right", "wrong", "note", "fact"]
    detail: str
    advice: str = ""


def doctor() -> list[Line]:
    """Check within seconds whether this machine computes correctly.

    On one device of each kind that jax sees, random numbers, sums, environment steps, returns,
    values, gradients and a step of Adam are compared with NumPy in float64, with 31 to 4 million
    rows. Results of this package would be wrong where the verdict of any line is "wrong".

    Example:
        >>> from purejaxrl_reinforce import doctor
        >>> assert not [line for line in doctor() if line.verdict == "wrong"]
    """
    return [*_facts(), *_settings(), *_faults(), _cache(), *_comparisons()]


def _facts() -> Iterator[Line]:
    for name, text in machine.in_words(machine.started_on()).items():
        yield Line(name, "fact", text)
    kinds = ", ".join(f"{device.device_kind} ({device.platform})" for device in _each_kind())
    yield Line("devices", "fact", f"{kinds}; {jax.device_count()} in use")


def _settings() -> Iterator[Line]:
    for name, value in machine.result_settings().items():
        if value == machine.USUAL_SETTINGS[name]:
            continue
        flags = name == "xla_result_flags"
        advice = f"take {value} out of XLA_FLAGS" if flags else f"unset {name.upper()}"
        if name == "jax_enable_x64":
            yield Line(name, "wrong", "training needs 32 bits", advice)
        else:
            yield Line(name, "note", f"{value}: results differ from the default's", advice)


def _faults() -> Iterator[Line]:
    for fault in known_faults():
        verdict: Any = "note" if fault.rows > 1 else "wrong"
        detail = f"{fault.effect} (jaxlib {fault.jaxlib}, {fault.platform})"
        yield Line(fault.issue, verdict, detail, fault.remedy)


def _comparisons() -> Iterator[Line]:
    if jax.config.values["jax_enable_x64"]:
        return
    for device in _each_kind():
        found = sorted(findings(device), key=lambda x: (not x.ours, x.subject))
        for subject, group in grouped(found, lambda x: x.subject).items():
            yield _verdict(subject, device.platform, group)


def _verdict(subject: str, platform: str, group: Sequence[Finding]) -> Line:
    """Return the line for one subject, compared in several sizes."""
    ours, wrong = group[0].ours, [x for x in group if not x.is_right]
    name = f"{subject} ({platform}{'' if ours else ', plain jax'})"
    if not wrong:
        sizes = sorted({x.rows for x in group})
        rows = f"{sizes[0]:,} to {sizes[-1]:,}" if len(sizes) > 1 else f"{sizes[0]:,}"
        worst = max(x.error for x in group)
        return Line(name, "right", f"{rows} rows" + (f", off by {worst:.0e}" if worst else ""))
    detail = "; ".join(f"off by {x.error:.0e} at {x.rows:,} rows" for x in wrong)
    if ours:
        advice = "do not trust results of this machine; try another version of jax, and report this"
        return Line(name, "wrong", detail, advice)
    known = [x.issue for x in known_faults() if x.platform == platform and x.rows > 1]
    cause = f", see {known[0]}" if known and "sums" in subject else ""
    advice = f"your own programs may be wrong{cause}; programs of this package are compared above"
    return Line(name, "note", detail, advice)


def _cache() -> Line:
    """Compile one program twice, to see whether the second time reads the cache."""
    subject = "compilation cache"
    try:
        enable_compilation_cache()
    except OSError as error:
        advice = "set JAX_COMPILATION_CACHE_DIR to a directory of yours"
        return Line(subject, "note", f"rejected: {error.strerror}: {error.filename}", advice)
    if not jax.config.values["jax_enable_compilation_cache"]:
        return Line(subject, "note", "switched off", "unset JAX_ENABLE_COMPILATION_CACHE")
    shortest, hits = jax.config.values["jax_persistent_cache_min_compile_time_secs"], []
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            before = len(from_cache)
            jax.jit(lambda x: jnp.sin(x) + 0.1234).lower(jnp.float32(1)).compile()
            hits.append(len(from_cache) > before)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", shortest)
    directory = Path(jax.config.values["jax_compilation_cache_dir"])
    kept = [path.stat().st_size for path in directory.glob("*-cache")]
    detail = f"{len(kept):,} programs, {sum(kept) / 2**20:.0f} MiB in {directory}"
    if hits[1]:
        return Line(subject, "right", f"{'hit' if hits[0] else 'miss, then hit'}: {detail}")
    reason = "; ".join(str(x.message) for x in caught) or "nothing was read again"
    return Line(subject, "note", f"rejected ({reason}): {detail}", f"empty or replace {directory}")


def _each_kind() -> list[jax.Device]:
    """Return one device of each kind that jax sees, the CPU included."""
    devices = list(jax.local_devices())
    with contextlib.suppress(RuntimeError):  # JAX_PLATFORMS leaves it out
        devices += jax.local_devices(backend="cpu")
    return list({device.device_kind: device for device in reversed(devices)}.values())[::-1]
