"""The compiled core: kernels that are written for one sample and work on lanes of them."""
