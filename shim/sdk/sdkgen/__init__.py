"""Apple's Objective-C declarations, rebuilt from public metadata, and checks of the shim against them."""
