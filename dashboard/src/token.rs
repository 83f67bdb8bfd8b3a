//! The secret that opens the dashboard.

use std::error::Error;
use std::fmt;
use subtle::ConstantTimeEq;

/// The length of 96 random bits in base64, which cannot be guessed over a network.
const SHORTEST: usize = 16;

/// The secret that a client must present to see the dashboard.
///
/// Anyone who has it sees the addresses and the request targets of all clients. It travels in clear
/// unless the connection is encrypted. `Debug` does not print it.
///
/// ```
/// use hangup_dashboard::Token;
///
/// assert_eq!(Token::random().as_str().len(), 32);
/// let token = Token::new("correct-horse-battery")?;
/// assert_eq!(token.as_str(), "correct-horse-battery");
/// assert!(Token::new("hunter2").is_err());
/// # Ok::<_, hangup_dashboard::TokenError>(())
/// ```
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Uses the given secret, for instance from an environment variable.
    ///
    /// # Errors
    ///
    /// [`TokenError`], if it has fewer than 16 characters, or others than ASCII letters, digits, `-`
    /// and `_`.
    pub fn new(secret: impl Into<String>) -> Result<Self, TokenError> {
        let secret = secret.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if secret.len() < SHORTEST || !secret.bytes().all(allowed) {
            return Err(TokenError(()));
        }
        Ok(Self(secret))
    }

    /// Makes a secret of 128 random bits: 32 hexadecimal digits.
    ///
    /// # Panics
    ///
    /// If the operating system returns no random numbers.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system returns random numbers");
        Self(format!("{:032x}", u128::from_ne_bytes(bytes)))
    }

    /// The secret.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is the secret. The time of the comparison does not depend on the number of equal characters.
    pub(crate) fn admits(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A secret that cannot be a [`Token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenError(());

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a token has at least {SHORTEST} characters, each an ASCII letter, a digit, '-' or '_'"
        )
    }
}

impl Error for TokenError {}
