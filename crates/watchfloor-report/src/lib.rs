//! Report documents as HTML and PDF.
