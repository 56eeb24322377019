"""The rules of a store: what each verb decides and writes, wherever the balances are kept."""
