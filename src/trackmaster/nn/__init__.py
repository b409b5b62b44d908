"""Networks: modules only, no files and no optimisers."""
