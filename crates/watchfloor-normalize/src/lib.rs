//! Fields to OCSF by mapping packs.
