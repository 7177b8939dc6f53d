//! Registering with JSON schemas, in builds that have a server to show them; without them in others.

use crate::engine::{Activity, Registry, Workflow};

/// Adds the shop's activities and workflows to a registry.
pub(crate) trait Describe: Sized {
    /// Adds an activity.
    #[cfg(feature = "server")]
    fn with_activity<A>(self, activity: A) -> Self
    where
        A: Activity<Input: utoipa::ToSchema, Output: utoipa::ToSchema>;

    /// Adds an activity.
    #[cfg(not(feature = "server"))]
    fn with_activity<A: Activity>(self, activity: A) -> Self;

    /// Adds a workflow.
    #[cfg(feature = "server")]
    fn with_workflow<W>(self, workflow: W) -> Self
    where
        W: Workflow<Input: utoipa::ToSchema, Output: utoipa::ToSchema>;

    /// Adds a workflow.
    #[cfg(not(feature = "server"))]
    fn with_workflow<W: Workflow>(self, workflow: W) -> Self;
}

#[cfg(feature = "server")]
impl Describe for Registry {
    fn with_activity<A>(self, activity: A) -> Self
    where
        A: Activity<Input: utoipa::ToSchema, Output: utoipa::ToSchema>,
    {
        self.described_activity(activity)
    }

    fn with_workflow<W>(self, workflow: W) -> Self
    where
        W: Workflow<Input: utoipa::ToSchema, Output: utoipa::ToSchema>,
    {
        self.described_workflow(workflow)
    }
}

#[cfg(not(feature = "server"))]
impl Describe for Registry {
    fn with_activity<A: Activity>(self, activity: A) -> Self {
        self.activity(activity)
    }

    fn with_workflow<W: Workflow>(self, workflow: W) -> Self {
        self.workflow(workflow)
    }
}
