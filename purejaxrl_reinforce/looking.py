"""The verbs that look: what would be trained, and what became of it."""

from dataclasses import dataclass, field

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.options import (
    DEFAULT_PRESET,
    ConfigFileOption,
    ConfigOptions,
    PresetOption,
)


@dataclass(frozen=True)
class Describe:
    """Say what would be trained: spaces, networks, batch, memory, operations per step."""

    preset: PresetOption = DEFAULT_PRESET
    config_file: ConfigFileOption = None
    config: ConfigOptions = field(default_factory=Config)

    def run(self) -> int:
        from purejaxrl_reinforce.launch import prepare

        prepare()
        from purejaxrl_reinforce.describe import describe

        return describe(self.config)
