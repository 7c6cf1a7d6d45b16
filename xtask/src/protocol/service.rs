//! A service: its calls keep their names, what they take and give, and which sides stream.

use super::breaks::{Break, each};
use super::schema::full;
use prost_types::{MethodDescriptorProto, ServiceDescriptorProto};
use std::collections::BTreeMap;

/// What of a service breaks.
pub(super) fn breaks(name: &str, old: &&ServiceDescriptorProto, new: &&ServiceDescriptorProto) -> Vec<Break> {
    each("rpc", &calls(name, old), &calls(name, new), of_call)
}

fn calls<'a>(name: &str, service: &'a ServiceDescriptorProto) -> BTreeMap<String, &'a MethodDescriptorProto> {
    service.method.iter().map(|method| (full(name, method.name()), method)).collect()
}

fn of_call(name: &str, was: &&MethodDescriptorProto, is: &&MethodDescriptorProto) -> Vec<Break> {
    let subject = format!("rpc {name}");
    let changes = [
        Break::unless_same(&subject, "request", request(was), request(is)),
        Break::unless_same(&subject, "response", response(was), response(is)),
    ];
    changes.into_iter().flatten().collect()
}

fn request(call: &MethodDescriptorProto) -> String {
    side(call.client_streaming(), call.input_type())
}

fn response(call: &MethodDescriptorProto) -> String {
    side(call.server_streaming(), call.output_type())
}

/// As the file has it, such as `stream superstep.v1.Event`.
fn side(streams: bool, message: &str) -> String {
    format!("{}{}", if streams { "stream " } else { "" }, message.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::super::tiny::broken;

    fn changed(old: &str, new: &str) -> Vec<String> {
        let whole = |call: &str| format!("message A {{}} message B {{}} service S {{ {call} }}");
        broken(&whole(old), &whole(new))
    }

    #[test]
    fn no_rpc_is_removed() {
        assert_eq!(changed("rpc Do(A) returns (B);", ""), ["rpc superstep.v1.S.Do: was removed"]);
    }

    #[test]
    fn what_an_rpc_takes_and_gives_stays() {
        for (new, what) in [
            ("rpc Do(B) returns (B);", "request was superstep.v1.A, is superstep.v1.B"),
            ("rpc Do(A) returns (A);", "response was superstep.v1.B, is superstep.v1.A"),
        ] {
            assert_eq!(changed("rpc Do(A) returns (B);", new), [format!("rpc superstep.v1.S.Do: {what}")]);
        }
    }

    #[test]
    fn which_sides_of_an_rpc_stream_stays() {
        for (old, new, what) in [
            ("A", "stream A", "request was superstep.v1.A, is stream superstep.v1.A"),
            ("stream A", "A", "request was stream superstep.v1.A, is superstep.v1.A"),
        ] {
            let found =
                changed(&format!("rpc Do({old}) returns (B);"), &format!("rpc Do({new}) returns (B);"));
            assert_eq!(found, [format!("rpc superstep.v1.S.Do: {what}")]);
            let found =
                changed(&format!("rpc Do(B) returns ({old});"), &format!("rpc Do(B) returns ({new});"));
            assert_eq!(found, [format!("rpc superstep.v1.S.Do: {}", what.replace("request", "response"))]);
        }
    }
}
