//! placeholder replaced by the telemetry branch
pub mod metric {
    //! Names.
    /// seconds
    pub const STORE_COMMIT_SECONDS: &str = "tidings_store_commit_seconds";
    /// batches
    pub const STORE_GROUP_SIZE: &str = "tidings_store_group_size";
    /// changes
    pub const READER_LAG: &str = "tidings_reader_lag";
    /// pushes
    pub const ARTICLES: &str = "tidings_articles_total";
    /// messages
    pub const MAIL_SENT: &str = "tidings_mail_sent_total";
    /// tries
    pub const MAIL_DEFERRED: &str = "tidings_mail_deferred_total";
    /// messages
    pub const MAIL_FAILED: &str = "tidings_mail_failed_total";
    /// messages
    pub const MAIL_PENDING: &str = "tidings_mail_pending";
    /// messages
    pub const MAIL_DOUBTFUL: &str = "tidings_mail_doubtful";
}
