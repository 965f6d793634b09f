-- The ids of an incident's alerts, in their order, are read from the index alone.
DROP INDEX alerts_by_incident;
CREATE INDEX alerts_by_incident ON alerts (tenant, incident_id, time, id);
-- The gravest of them are found without looking at the others.
CREATE INDEX alerts_by_gravity ON alerts (tenant, incident_id, severity DESC, time, id);
