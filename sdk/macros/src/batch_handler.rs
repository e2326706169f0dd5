//! `#[batch_handler]`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Pat, PatType, Result, ReturnType, Type, TypeTuple};

use crate::signature::{
    Config, Signature, argument_of, as_result, fallible, last_segment, no_arguments, parse, without_lifetimes,
};

const EXAMPLE: &str = "fn name(epoch: Epoch, rows: Rows<Row>, errors: Outlet<Alert>)";

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    no_arguments(&arguments, "batch_handler")?;
    let function = parse(item, "batch_handler", EXAMPLE)?;
    let signature = Signature::of(&function, EXAMPLE)?;
    let fails = match &function.sig.output {
        ReturnType::Default => false,
        ReturnType::Type(_, returned) => match fallible(returned) {
            (Type::Tuple(TypeTuple { elems, .. }), fails) if elems.is_empty() => fails,
            _ => {
                return Err(Error::new_spanned(
                    returned,
                    "rows leave through outlets: return nothing, or `Result<(), E>`",
                ));
            }
        },
    };

    let (mut input, mut config, mut outlets, mut columns, mut call) =
        (None, Config::NONE, Vec::new(), Vec::new(), Vec::new());
    for parameter in &signature.parameters {
        let ty = &*parameter.ty;
        if let Some(row) = argument_of(ty, "Rows") {
            if input.replace(without_lifetimes(row.to_token_stream())).is_some() {
                return Err(Error::new_spanned(parameter, "the rows come once: leave only one `Rows<..>`"));
            }
            call.push(quote!(::tidemill_sdk::Rows::read(input)?));
        } else if let Some(row) = argument_of(ty, "Outlet") {
            let name = outlet_name(parameter)?;
            columns.push(without_lifetimes(row.to_token_stream()));
            call.push(quote!(#name.share()));
            outlets.push(name);
        } else if last_segment(ty).is_some_and(|segment| segment.ident == "Epoch") {
            call.push(quote!(::tidemill_sdk::Epoch::new(epoch)));
        } else if matches!(ty, Type::Reference(_)) {
            config = Config::of(ty)?;
            call.push(quote!(config));
        } else {
            let what =
                "a batch handler's parameters are an `Epoch`, its `Rows<..>`, any number of `Outlet<..>` and a config";
            return Err(Error::new_spanned(parameter, format!("{what}: write `{EXAMPLE}`")));
        }
    }
    let input =
        input.ok_or_else(|| Error::new_spanned(&function.sig, format!("the rows are missing: write `{EXAMPLE}`")))?;

    let names: Vec<String> = outlets.iter().map(Ident::to_string).collect();
    let (name, doc, config_type) = (signature.name(), &signature.doc, config.ty());
    let call = as_result(&quote!(#name(#(#call),*)), fails);
    Ok(signature.with_definition(&quote! {
        ::tidemill_sdk::expand::Definition::batch_handler::<#input, #config_type>(
            #doc,
            ::std::vec![#((#names, <#columns as ::tidemill_sdk::expand::Row>::fields as fn() -> _)),*],
            |config, epoch, input| {
                #(let #outlets = ::tidemill_sdk::Outlet::open(#names);)*
                ::tidemill_sdk::expand::outcome(#call)?;
                #(#outlets.close()?;)*
                ::core::result::Result::Ok(())
            },
        )
    }))
}

/// An outlet is named by its parameter.
fn outlet_name(parameter: &PatType) -> Result<Ident> {
    match &*parameter.pat {
        Pat::Ident(name) => Ok(name.ident.clone()),
        pattern => Err(Error::new_spanned(pattern, "an outlet is named by its parameter: write `name: Outlet<Row>`")),
    }
}
