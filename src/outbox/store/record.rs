//! A message in the form in which a store keeps it.

use bytes::Bytes;
use std::error::Error;

/// A message that can be kept on disk.
///
/// `Bytes`, `Vec<u8>` and `String` are records. A type of your own should use a format that can be extended, because the
/// next version of your program has to read the records of this one.
///
/// If [`from_bytes`](Self::from_bytes) fails, the outbox sets the record aside as [`Unsendable`](crate::outbox::Unsendable), with
/// its bytes, and continues.
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::Record;
/// use std::error::Error;
///
/// #[derive(Debug, PartialEq)]
/// struct Event {
///     door: u32,
///     text: String,
/// }
///
/// impl Record for Event {
///     fn to_bytes(&self) -> Bytes {
///         format!("1 {} {}", self.door, self.text).into() // 1 is the version of the format
///     }
///
///     fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
///         let line = String::from_utf8(bytes.into())?;
///         match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
///             ["1", door, text] => Ok(Self { door: door.parse()?, text: text.into() }),
///             _ => Err(format!("not an event of version 1: {line:?}").into()),
///         }
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
/// let event = Event { door: 7, text: "opened by hand".into() };
/// assert_eq!(Event::from_bytes(event.to_bytes())?, event);
/// assert!(Event::from_bytes(Bytes::from("2 7 opened")).is_err());
/// # Ok(())
/// # }
/// ```
///
/// The next version of that program has a field more, and still reads the records that the previous one left in the store:
///
/// ```
/// use bytes::Bytes;
/// use hangup::outbox::Record;
/// use std::error::Error;
///
/// #[derive(Debug, PartialEq)]
/// struct Event {
///     door: u32,
///     text: String,
///     /// `None` in records of version 1.
///     floor: Option<i32>,
/// }
///
/// impl Record for Event {
///     fn to_bytes(&self) -> Bytes {
///         let floor = self.floor.map_or("-".to_owned(), |floor| floor.to_string());
///         format!("2 {} {floor} {}", self.door, self.text).into()
///     }
///
///     fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
///         let line = String::from_utf8(bytes.into())?;
///         let (version, rest) = line.split_once(' ').ok_or("no version")?;
///         let (door, rest) = rest.split_once(' ').ok_or("no door")?;
///         let (floor, text) = match version {
///             "1" => (None, rest),
///             "2" => rest.split_once(' ').map(|(floor, text)| (floor.parse().ok(), text)).ok_or("no floor")?,
///             _ => return Err(format!("not an event of version 1 or 2: {line:?}").into()),
///         };
///         Ok(Self { door: door.parse()?, text: text.into(), floor })
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
/// let old = Event::from_bytes(Bytes::from("1 7 opened by hand"))?;
/// assert_eq!(old, Event { door: 7, text: "opened by hand".into(), floor: None });
/// let new = Event { door: 7, text: "opened".into(), floor: Some(-1) };
/// assert_eq!(Event::from_bytes(new.to_bytes())?, new);
/// # Ok(())
/// # }
/// ```
pub trait Record: Sized {
    /// Turns the message into bytes. Called once, by [`send`](crate::outbox::Outbox::send), on the task of the sender.
    fn to_bytes(&self) -> Bytes;

    /// Turns bytes back into the message. Called where the store is called.
    ///
    /// # Errors
    ///
    /// If these are not bytes of [`to_bytes`](Self::to_bytes). The text of the error becomes the reason of a dead letter.
    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>>;
}

impl Record for Bytes {
    fn to_bytes(&self) -> Bytes {
        self.clone()
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(bytes)
    }
}

impl Record for Vec<u8> {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self)
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(bytes.into())
    }
}

impl Record for String {
    fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    fn from_bytes(bytes: Bytes) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self::from_utf8(bytes.into())?)
    }
}
