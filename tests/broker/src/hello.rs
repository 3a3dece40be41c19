//! ApiVersions and InitProducerId: what a client asks for before it begins.

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, ProducerId,
};

use crate::cluster::Cluster;
use crate::error;
use crate::fault::Forced;
use crate::options::{Api, Release};
use crate::request::{Answer, Context, Request};

impl Cluster {
    pub(crate) fn api_versions(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let release = self.options.release;
        let range = |api: Api| {
            let (lowest, highest) = release.versions(api);
            ApiVersion::default().with_api_key(api.key()).with_min_version(lowest).with_max_version(highest)
        };
        if !request.offered {
            // Since KIP-511 (Kafka 2.4) the answer says at least which ApiVersions there are.
            let own = match release {
                Release::V2_1 => Vec::new(),
                _ => vec![range(Api::ApiVersions)],
            };
            let response =
                ApiVersionsResponse::default().with_error_code(error::UNSUPPORTED_VERSION).with_api_keys(own);
            let in_version_0 = Context { version: 0, ..*context };
            return Some(Answer::frame(&in_version_0, &response));
        }
        let body = request.decode::<ApiVersionsRequest>()?;
        let mut code = forced.map_or(error::NONE, |forced| forced.code);
        if request.version >= 3
            && !(is_valid_software(&body.client_software_name) && is_valid_software(&body.client_software_version))
        {
            code = error::INVALID_REQUEST;
        }
        let keys = match code {
            error::NONE => Api::ALL.into_iter().map(range).collect(),
            _ => Vec::new(),
        };
        let response = ApiVersionsResponse::default()
            .with_error_code(code)
            .with_api_keys(keys)
            .with_throttle_time_ms(if request.version >= 1 { context.throttle_ms } else { 0 });
        Some(Answer::frame(context, &response))
    }

    pub(crate) fn init_producer_id(
        &mut self,
        request: &Request<'_>,
        context: &Context,
        forced: Option<&Forced>,
    ) -> Option<Answer> {
        let body = request.decode::<InitProducerIdRequest>()?;
        let mut response = InitProducerIdResponse::default()
            .with_throttle_time_ms(context.throttle_ms)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let refused = match &body.transactional_id {
            Some(id) if id.is_empty() => error::INVALID_REQUEST,
            // No transactions here; a terminal error, so that nobody retries for ever.
            Some(_) => error::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            None if self.idempotent_write_denied => error::CLUSTER_AUTHORIZATION_FAILED,
            None => error::NONE,
        };
        if refused == error::NONE && forced.is_none_or(|forced| forced.applied) {
            // Whatever id and epoch the client has, without a transactional id it always gets a new one.
            let issued = self.next_producer_id;
            self.next_producer_id += 1;
            self.counters.producer_ids += 1;
            if forced.is_none() {
                response.producer_id = ProducerId(issued);
                response.producer_epoch = self.next_producer_epoch;
            }
        }
        response.error_code = forced.map_or(refused, |forced| forced.code);
        Some(Answer::frame(context, &response))
    }
}

/// KIP-511: letters and digits, with dots and dashes only between them.
fn is_valid_software(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}
