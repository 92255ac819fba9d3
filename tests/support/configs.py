"""The algorithm as textbooks have it, which `Config()` is not."""

from purejaxrl_reinforce import Config

# No bootstrap, and standardized advantages: whatever takes it says what else it needs.
TEXTBOOK = Config(
    bootstrap=False, advantage_norm="standardize", gamma=0.99, policy_lr=3e-2, baseline_lr=3e-2
)
