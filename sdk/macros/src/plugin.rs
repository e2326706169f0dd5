//! `plugin!`.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Error, Path, Result, Token, parse::Parser, punctuated::Punctuated, spanned::Spanned};

pub(crate) fn expand(functions: TokenStream) -> Result<TokenStream> {
    let place = functions.span();
    let list = Punctuated::<Path, Token![,]>::parse_terminated.parse2(functions).map_err(|error| {
        Error::new(error.span(), "the functions are listed by name: write `plugin!(first, second)`")
    })?;
    let functions: Vec<&Path> = list.iter().collect();
    let names: Vec<&Ident> =
        functions.iter().filter_map(|path| path.segments.last()).map(|segment| &segment.ident).collect();
    if names.is_empty() {
        return Err(Error::new(place, "a plugin has functions: write `plugin!(first, second)`"));
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            let message = format!(
                "two functions are called `{name}`, and a manifest could not tell them apart: rename one of them"
            );
            return Err(Error::new_spanned(name, message));
        }
    }

    let texts: Vec<String> = names.iter().map(ToString::to_string).collect();
    let local = functions.iter().filter_map(|path| path.get_ident());
    Ok(quote! {
        // A glob import is what a name means when it means nothing else: a function without an attribute, for which
        // there is no type of its name, is found here, where it lacks a role, and the compiler says which to write.
        #[allow(non_camel_case_types, dead_code, reason = "named like functions")]
        mod __no_role { #(pub enum #local {})* }
        #[allow(unused_imports, reason = "only what has no role is looked up here")]
        use __no_role::*;

        const _: fn() -> ::std::vec::Vec<(&'static str, ::tidemill_sdk::expand::Definition)> = {
            enum Plugin {}

            impl ::tidemill_sdk::expand::Plugin for Plugin {
                const NAME: &'static str = ::core::env!("CARGO_PKG_NAME");
                const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");

                fn functions() -> ::std::vec::Vec<(&'static str, ::tidemill_sdk::expand::Definition)> {
                    ::std::vec![#((#texts, <#functions as ::tidemill_sdk::expand::PluginFunction>::definition())),*]
                }
            }

            // Only a component has exports; natively a plugin is a library like any other, and is tested as one.
            #[cfg(target_arch = "wasm32")]
            ::tidemill_sdk::expand::bindings::export!(Plugin with_types_in ::tidemill_sdk::expand::bindings);

            // Named here, the functions are not unused in a native build.
            <Plugin as ::tidemill_sdk::expand::Plugin>::functions
        };
    })
}
