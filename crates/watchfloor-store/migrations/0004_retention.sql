CREATE TABLE retention (
  tenant TEXT NOT NULL PRIMARY KEY, rules TEXT NOT NULL, default_days BIGINT, cold_after_days BIGINT,
  version BIGINT NOT NULL, changed_by TEXT NOT NULL, changed_at BIGINT NOT NULL
);
CREATE TABLE legal_holds (
  tenant TEXT NOT NULL, id TEXT NOT NULL, query TEXT NOT NULL, from_time BIGINT, to_time BIGINT,
  reason TEXT NOT NULL, created_by TEXT NOT NULL, created_at BIGINT NOT NULL,
  released_by TEXT, released_at BIGINT,
  PRIMARY KEY (tenant, id)
);
CREATE TABLE erasures (
  tenant TEXT NOT NULL, id TEXT NOT NULL, query TEXT, digest TEXT NOT NULL, reason TEXT NOT NULL,
  created_by TEXT NOT NULL, created_at BIGINT NOT NULL, state TEXT NOT NULL,
  events BIGINT NOT NULL, held BIGINT NOT NULL, files BIGINT NOT NULL,
  ended_at BIGINT, error TEXT,
  PRIMARY KEY (tenant, id)
);
