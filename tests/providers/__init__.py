"""The providers' room: pure, so its tests need nothing but values."""
