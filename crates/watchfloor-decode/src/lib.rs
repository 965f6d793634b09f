//! Bytes to fields, one folder per format.
