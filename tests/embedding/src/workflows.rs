//! What the service does: provision a tenant; count tenants at night.

use std::time::Duration;

use backstitch::engine::{Context, Failure, Workflow, join};
use serde::{Deserialize, Serialize};

use crate::activities::{Change, CountTenants, Create, SetState, Tenant};
use crate::provider::{Certificate, Database, MailDomain};

/// How long a customer has to set the DNS record.
const DNS_WINDOW: Duration = Duration::from_secs(15);

/// The customer's name server has answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct DnsAnswer {
    pub record: String,
}

pub struct Provision;

impl Workflow for Provision {
    const NAME: &'static str = "provision";
    type Input = Tenant;
    type Output = String;

    async fn run(&self, cx: &Context, tenant: Tenant) -> Result<String, Failure> {
        cx.call::<SetState>(change(&tenant, "provisioning", "cancelled")).await?;
        let (database, mail) =
            join(cx.call::<Create<Database>>(tenant.clone()), cx.call::<Create<MailDomain>>(tenant.clone())).await;
        let (database, _) = (database?, mail?);
        cx.call::<Create<Certificate>>(tenant.clone()).await?;
        let Some(dns) = cx.signal::<DnsAnswer>("dns").within(DNS_WINDOW).await? else {
            return Err(Failure::new("dns_timeout", "the name server did not answer in time"));
        };
        cx.pivot().await; // from here on: forward only, unless an operator compensates
        cx.call::<SetState>(change(&tenant, "active", "provisioning")).await?;
        Ok(format!("{database}, at {}", dns.record))
    }
}

fn change(tenant: &Tenant, to: &str, back_to: &str) -> Change {
    Change { tenant: tenant.name.clone(), to: to.to_owned(), back_to: back_to.to_owned() }
}

pub struct NightlyAudit;

impl Workflow for NightlyAudit {
    const NAME: &'static str = "nightly_audit";
    type Input = ();
    type Output = i64;

    async fn run(&self, cx: &Context, (): ()) -> Result<i64, Failure> {
        Ok(cx.call::<CountTenants>(()).await?)
    }
}
