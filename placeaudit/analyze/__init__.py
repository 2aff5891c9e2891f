"""From a record to an audit: steps, sites, blocked times.  Pure functions of the record."""
