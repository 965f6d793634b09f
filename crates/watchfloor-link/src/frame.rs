//! A frame: two lengths, a message in JSON, and bytes that belong to it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Bytes of a frame before its message: two lengths, big-endian.
pub const HEAD_BYTES: usize = 8;
/// Longest message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Most bytes that belong to one message.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Why bytes are no frame.
#[derive(Debug, Error)]
pub enum FrameError {
    /// A length is over its limit.
    #[error(
        "a frame of {message} and {payload} bytes is over the limits ({MESSAGE_BYTES_MAX} and {PAYLOAD_BYTES_MAX})"
    )]
    TooLong {
        /// Bytes of the message.
        message: usize,
        /// Bytes that belong to it.
        payload: usize,
    },
    /// The message is not one that is known here.
    #[error("a message cannot be read: {0}")]
    Message(#[from] serde_json::Error),
}

/// The lengths of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the message.
    pub message: usize,
    /// Bytes that belong to it.
    pub payload: usize,
}

impl Head {
    /// Reads both lengths.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], before anything of that length is kept.
    pub fn parse(bytes: [u8; HEAD_BYTES]) -> Result<Self, FrameError> {
        let [a, b, c, d, e, f, g, h] = bytes;
        let head = Self {
            message: u32::from_be_bytes([a, b, c, d]) as usize,
            payload: u32::from_be_bytes([e, f, g, h]) as usize,
        };
        head.checked()
    }

    /// Bytes behind the head.
    pub const fn rest(self) -> usize {
        self.message + self.payload
    }

    fn checked(self) -> Result<Self, FrameError> {
        match self.message <= MESSAGE_BYTES_MAX && self.payload <= PAYLOAD_BYTES_MAX {
            true => Ok(self),
            false => Err(FrameError::TooLong {
                message: self.message,
                payload: self.payload,
            }),
        }
    }
}

/// A message and the bytes that belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame<M> {
    /// The message.
    pub message: M,
    /// Bytes that belong to it: records, a certificate, a part of a file.
    pub payload: Vec<u8>,
}

impl<M> From<M> for Frame<M> {
    fn from(message: M) -> Self {
        Self {
            message,
            payload: Vec::new(),
        }
    }
}

impl<M: Serialize> Frame<M> {
    /// The frame as bytes, head included.
    ///
    /// # Errors
    /// [`FrameError`] if it is over a limit.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let message = serde_json::to_vec(&self.message)?;
        let head = Head {
            message: message.len(),
            payload: self.payload.len(),
        }
        .checked()?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + head.rest());
        for length in [head.message, head.payload] {
            // Checked above: both are far below 4 GiB.
            bytes.extend_from_slice(&(length as u32).to_be_bytes());
        }
        bytes.extend_from_slice(&message);
        bytes.extend_from_slice(&self.payload);
        Ok(bytes)
    }
}

impl<M: DeserializeOwned> Frame<M> {
    /// The frame from what stands behind its head.
    ///
    /// # Errors
    /// [`FrameError::Message`].
    pub fn decode(head: Head, mut rest: Vec<u8>) -> Result<Self, FrameError> {
        let payload = rest.split_off(head.message.min(rest.len()));
        Ok(Self {
            message: serde_json::from_slice(&rest)?,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToServer;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let frame = Frame {
            message: ToServer::Records {
                epoch: 7,
                first: 1,
                count: 2,
            },
            payload: b"abc".to_vec(),
        };
        let bytes = frame.encode().unwrap();
        let (head, rest) = bytes.split_at(HEAD_BYTES);
        let head = Head::parse(head.try_into().unwrap()).unwrap();
        assert_eq!(Frame::decode(head, rest.to_vec()).unwrap(), frame);
    }

    #[test]
    fn lengths_over_the_limit_are_refused_before_they_are_read() {
        let error = Head::parse([0xff; HEAD_BYTES]).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }));
    }

    #[test]
    fn a_message_that_is_cut_short_is_an_error() {
        let head = Head {
            message: 10,
            payload: 0,
        };
        assert!(Frame::<ToServer>::decode(head, b"{".to_vec()).is_err());
    }
}
