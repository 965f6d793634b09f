//! Making the filter of a file while its rows are written.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, UInt32Type};
use hashbrown::HashSet;

use super::BLOCK_ROWS;
use super::file;
use super::words::each_word;
use crate::schema;

/// Gathers the words of a file, block by block, in the order of its rows.
#[derive(Default)]
pub(crate) struct Builder {
    rows: usize,
    /// Words of the block that is being filled.
    block: HashSet<u64>,
    /// Words with the blocks that they are in.
    pairs: Vec<(u64, u32)>,
    lower: String,
}

impl Builder {
    /// Takes the next rows of the file.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        let mut at = 0;
        while at < batch.num_rows() {
            let free = BLOCK_ROWS - self.rows % BLOCK_ROWS;
            let count = free.min(batch.num_rows() - at);
            self.add_within_block(&batch.slice(at, count))?;
            self.rows += count;
            at += count;
            if self.rows.is_multiple_of(BLOCK_ROWS) {
                self.end_block(self.rows / BLOCK_ROWS - 1);
            }
        }
        Ok(())
    }

    /// The filter as bytes; it keeps the checksum of the data file, CRC-32, as well.
    pub(crate) fn finish(mut self, data_crc: u32) -> Vec<u8> {
        if !self.rows.is_multiple_of(BLOCK_ROWS) {
            self.end_block(self.rows / BLOCK_ROWS);
        }
        self.pairs.sort_unstable();
        file::encode(&self.pairs, self.rows as u64, data_crc)
    }

    fn end_block(&mut self, number: usize) {
        let words = self.block.drain().map(|word| (word, number as u32));
        self.pairs.extend(words);
    }

    fn add_within_block(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        let schema = batch.schema();
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            if !is_searched(field) {
                continue;
            }
            match column.data_type() {
                DataType::Dictionary(_, _) => self.add_dictionary(column)?,
                DataType::Map(_, _) => {
                    let map = column.as_map();
                    let offsets = map.value_offsets();
                    let (first, last) = (offsets[0], offsets[map.len()]);
                    let values = map.values().slice(first as usize, (last - first) as usize);
                    self.add_texts(&values)?;
                }
                _ => self.add_texts(column)?,
            }
        }
        Ok(())
    }

    fn add_dictionary(&mut self, column: &ArrayRef) -> Result<(), arrow::error::ArrowError> {
        let Some(dictionary) = column.as_dictionary_opt::<UInt32Type>() else {
            return self.add_texts(column);
        };
        let values = cast(dictionary.values(), &DataType::Utf8)?;
        let values = values.as_string::<i32>();
        let mut is_used = vec![false; values.len()];
        for key in dictionary.keys().iter().flatten() {
            is_used[key as usize] = true;
        }
        for (value, _) in values.iter().zip(is_used).filter(|(_, is_used)| *is_used) {
            self.add_text(value.unwrap_or_default());
        }
        Ok(())
    }

    fn add_texts(&mut self, column: &ArrayRef) -> Result<(), arrow::error::ArrowError> {
        let texts = cast(column, &DataType::Utf8View)?;
        for text in texts.as_string_view().iter().flatten() {
            self.add_text(text);
        }
        Ok(())
    }

    fn add_text(&mut self, text: &str) {
        let block = &mut self.block;
        let mut take = |word| {
            block.insert(word);
        };
        if text.is_ascii() {
            self.lower.clear();
            self.lower.push_str(text);
            self.lower.make_ascii_lowercase();
            each_word(&self.lower, &mut take);
        } else {
            each_word(&text.to_lowercase(), &mut take);
        }
    }
}

/// Whether the words of a column are in filters: those of raw lines, of attributes and of source
/// fields. Sources, products and kinds are in every block.
pub(super) fn is_searched(field: &Field) -> bool {
    let name = field.name().as_str();
    match field.data_type() {
        DataType::Map(_, _) => name == schema::UNMAPPED,
        DataType::Utf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
            name == schema::RAW || schema::is_attribute(name)
        }
        _ => false,
    }
}
