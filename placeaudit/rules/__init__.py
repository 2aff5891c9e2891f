"""Rules turn an audit into findings: one file per rule, listed in ``registry``."""
