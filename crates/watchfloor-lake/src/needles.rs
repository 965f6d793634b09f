//! Needle filters: which blocks of a file may hold a word.
//!
//! Beside each data file stands one that says, for every word of its raw lines and values, in
//! which blocks of [`BLOCK_ROWS`] rows it occurs. A search reads a few kilobytes of it and then
//! only the blocks that may match. The data files stay plain Parquet; without the filters the
//! same queries give the same answers, slower. Why this and not Parquet's bloom filters, fuse
//! filters or an inverted index: `docs/adr/0008-needle-filters.md`.

mod ask;
mod build;
mod file;
mod words;

pub(crate) use ask::{Ask, of_filter};
pub(crate) use build::Builder;
pub(crate) use file::{Blocks, NeedleFiles, data_file_of, is_whole, path_beside};
pub(crate) use words::has_word;

/// Rows of a block. Data pages end where blocks end.
pub(crate) const BLOCK_ROWS: usize = 8192;
