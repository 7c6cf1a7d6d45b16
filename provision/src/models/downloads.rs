//! Where downloads are shown.

/// Shows how far downloads have come, of one file after the other. Whoever implements it may show nothing.
pub trait Downloads: Send + Sync {
    /// What is going on: the name of the file that is asked for, or what is waited for.
    fn say(&self, text: String);

    /// A transfer begins. So many bytes of the file were there before it, and do not count for its speed.
    fn begin(&self, received: u64);

    /// So many bytes of the file are there, of so many if the hub told.
    fn stand(&self, received: u64, total: Option<u64>);

    /// The download has ended, well or not, or what was waited for is there.
    fn clear(&self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Downloads for Quiet {
    fn say(&self, _: String) {}

    fn begin(&self, _: u64) {}

    fn stand(&self, _: u64, _: Option<u64>) {}

    fn clear(&self) {}
}
