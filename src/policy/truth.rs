//! Three-valued logic (Kleene): what cannot be known is never taken for true, nor for false.

/// The value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    /// The fact is not to be had: an unknown address, or an identity fact of an anonymous caller.
    Unknown,
}

impl Truth {
    /// Both hold.
    pub fn and(self, other: Truth) -> Truth {
        match (self, other) {
            (Truth::False, _) | (_, Truth::False) => Truth::False,
            (Truth::True, Truth::True) => Truth::True,
            (Truth::Unknown, Truth::True | Truth::Unknown) | (Truth::True, Truth::Unknown) => Truth::Unknown,
        }
    }

    /// One of them holds.
    pub fn or(self, other: Truth) -> Truth {
        self.not().and(other.not()).not()
    }

    /// The opposite; of what is unknown, unknown.
    #[expect(clippy::should_implement_trait, reason = "`!truth` would read as a boolean")]
    pub fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }

    /// As a word, for `explain`.
    pub fn name(self) -> &'static str {
        match self {
            Truth::True => "true",
            Truth::False => "false",
            Truth::Unknown => "unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Truth {
        if value { Truth::True } else { Truth::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::False;
    use super::Truth::True;
    use super::Truth::Unknown;

    #[test]
    fn unknown_is_neither_true_nor_false() {
        for (a, b, and, or) in [
            (True, True, True, True),
            (True, False, False, True),
            (False, False, False, False),
            (True, Unknown, Unknown, True),
            (False, Unknown, False, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            assert_eq!((a.and(b), a.or(b)), (and, or), "{a:?} {b:?}");
            assert_eq!((b.and(a), b.or(a)), (and, or), "{b:?} {a:?}");
        }
        assert_eq!([True.not(), False.not(), Unknown.not()], [False, True, Unknown]);
    }
}
