//! Transactional records of the SOC.
