"""Many agents: settings times seeds, trained in slices, stored, summarized and drawn."""
