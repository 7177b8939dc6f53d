//! A run as one document: the part of [`Engine`] for taking a run along, into a ticket or an archive.

use crate::engine::{
    api::engine::Engine,
    core::model::RunId,
    error::Error,
    read_models::{AuditFilter, ExportFormat, RunExport},
    store::{self, export, reads},
};

impl Engine {
    /// A run with everything that is on record of it. What is marked as secret is hidden, as everywhere.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn export(&self, run: RunId) -> Result<RunExport, Error> {
        let mut found = self.run(run).await?;
        let mut audit = Vec::new();
        let mut filter = AuditFilter { run_id: Some(run), limit: Some(200), ..AuditFilter::default() };
        loop {
            let slice = self.audit(&filter).await?;
            audit.extend(slice.items);
            filter.cursor = slice.next_cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        audit.reverse();
        let mut conn = self.acquire().await?;
        let secret = reads::secret_fields(self.schema(), &mut conn, run).await?;
        let slot = match found.tags.get("schedule") {
            Some(schedule) => export::load_slot(self.schema(), &mut conn, schedule, run).await?,
            None => None,
        };
        Ok(RunExport {
            format: ExportFormat::V1,
            exported_at: store::now(self.schema(), &mut conn).await?,
            signals: export::load_signals(self.schema(), &mut conn, run, &secret).await?,
            compensation: export::load_compensation(self.schema(), &mut conn, run).await?,
            slot,
            children: found.children.take().unwrap_or_default(),
            audit,
            run: found,
        })
    }
}
