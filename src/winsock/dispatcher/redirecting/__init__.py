"""What carries bytes between a descriptor and a provider's WSPRecv and WSPSend."""
