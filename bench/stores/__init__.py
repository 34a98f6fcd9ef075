"""The stores that the ledger is compared with, each as one who knows it well would set it up."""
