"""The palette of figures and videos."""

# Okabe and Ito's colors, which color-blind people can tell apart, without the yellow, which is
# hard to see on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
