"""What a card is (profiles), what this machine has, and what its GPUs are doing (NVML)."""
