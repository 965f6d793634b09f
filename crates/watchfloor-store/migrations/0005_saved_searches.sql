CREATE TABLE saved_searches (
  tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
  query TEXT NOT NULL, span TEXT NOT NULL, sharing TEXT NOT NULL, owner TEXT NOT NULL,
  created_by TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL,
  is_panel BIGINT NOT NULL, schedule TEXT, alarm TEXT, last_run TEXT, next_run_at BIGINT,
  version BIGINT NOT NULL,
  PRIMARY KEY (tenant, id)
);
CREATE INDEX saved_searches_by_next_run ON saved_searches (tenant, next_run_at);
