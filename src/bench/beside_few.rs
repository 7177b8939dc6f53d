//! Plain runs at full speed in a schema that has many, measured in turn with as many in one that has few: within the time that the
//! many take, a machine changes more than they do.

use std::sync::Arc;

use super::{
    closed,
    place::{Place, Size, Working},
    plain::Plain,
    report::Figures,
    scenario::Scenario,
};
use crate::engine::{Engine, Registry};

/// Runs that are measured at once, and how often on each side.
const MEASURED: usize = 20_000;
const ROUNDS: usize = 3;

/// Two schemas with workers of their own, which are warm.
pub(super) struct Pair {
    pub(super) plain: Arc<Plain>,
    many: Working,
    few: Working,
}

/// What came of it.
pub(super) struct Compared {
    /// The last measurement in the schema that has many.
    pub(super) last: Figures,
    pub(super) of_many: Vec<f64>,
    pub(super) of_few: Vec<f64>,
}

impl Pair {
    pub(super) async fn open(place: &Place) -> anyhow::Result<Self> {
        let plain = Arc::new(Plain::new()?);
        let with_few = Place { schema: format!("{}_few", place.schema), ..place.clone() };
        let many = place.work(plain.register(Registry::new())).await?;
        let few = with_few.work(plain.register(Registry::new())).await?;
        for engine in [&many.engine, &few.engine] {
            closed::warm_up(engine, &plain).await?;
            closed::under_load(engine, &plain, &measured(place)).await?;
        }
        Ok(Self { plain, many, few })
    }

    /// The engine that is to have many.
    pub(super) fn engine(&self) -> &Engine {
        &self.many.engine
    }

    pub(super) async fn compare(&self, place: &Place) -> anyhow::Result<Compared> {
        let place = measured(place);
        let (mut last, mut of_many, mut of_few) = (None, Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            of_few.push(closed::under_load(&self.few.engine, &self.plain, &place).await?.runs_per_s);
            let figures = closed::under_load(&self.many.engine, &self.plain, &place).await?;
            of_many.push(figures.runs_per_s);
            last = Some(figures);
        }
        Ok(Compared { last: last.ok_or_else(|| anyhow::anyhow!("there are no rounds"))?, of_many, of_few })
    }

    pub(super) async fn end(self) {
        self.many.end().await;
        self.few.end().await;
    }
}

impl Compared {
    /// Runs a second beside many, of those beside few.
    pub(super) fn ratio(&self) -> f64 {
        self.of_many.iter().sum::<f64>() / self.of_few.iter().sum::<f64>()
    }
}

fn measured(place: &Place) -> Place {
    Place { size: Size { runs: Some(MEASURED), ..Size::default() }, ..place.clone() }
}
