//! The hunt language: parse, type, diagnose, plan.
