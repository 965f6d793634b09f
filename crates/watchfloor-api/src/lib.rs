//! Routes, wire types, auth, OpenAPI and the built console.
